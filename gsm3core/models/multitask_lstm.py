"""The paper's network: linear + ReLU, LSTM, linear; one LSTM shared by two training targets."""

from __future__ import annotations

import torch
from torch import nn

from gsm3core.config import ModelConfig
from gsm3core.models.base import Model, State
from gsm3core.models.distribution import PARAMETERS
from gsm3core.models.dropout import Dropout
from gsm3core.models.heads import HEADS


class MultitaskLSTM(Model):
    """Multitask LSTM, y = LSTM(x, A).

    Parameters
    ----------
    n_forcings, n_attributes
        Number of scaled input columns.
    streams
        Names of the training targets; the first is what the network predicts.

    Notes
    -----
    Liu et al., GSM3 v1.0, equation 1, which does not specify the layers: here as in that group's earlier soil-moisture
    networks (Fang et al. 2017, doi:10.1002/2017GL075619), a linear layer with ReLU to the hidden size, one LSTM,
    a linear layer to one value. ``dropout_on = "weights"`` masks the LSTM's input-hidden and hidden-hidden
    weights, a new mask each forward pass shared over batch and time, as in hydroDL (DropConnect, Wan et
    al. 2013; on recurrent weights Merity et al. 2018, arXiv:1708.02182); ``"outputs"`` masks the LSTM's output.

    All weights and biases of the LSTM start uniform in +-1/sqrt(hidden), as in hydroDL. ``forget_bias`` sets the
    input-hidden bias of the forget gates instead, so that the state decays slowly from the first update on (Jozefowicz et
    al. 2015, PMLR 37, 2342-2350): soil dries over weeks.

    A few dozen sites are identified by their attributes alone, so a network can overfit each of them.
    ``attribute_noise`` adds noise to the attributes in training, which penalises outputs that change fast with them
    (Bishop 1995, doi:10.1162/neco.1995.7.1.108). The mean level of the forcings identifies a site as well, so
    ``forcing_noise`` adds an offset per input and window: the network then depends on changes of weather.
    """

    def __init__(
        self, config: ModelConfig, n_forcings: int, n_attributes: int, streams: tuple[str, ...]
    ) -> None:
        super().__init__(streams, config.hidden)
        self.attribute_noise, self.forcing_noise = config.attribute_noise, config.forcing_noise
        self.weight_dropout = config.dropout if config.dropout_on == "weights" else 0.0
        # The sum of two layers equals one layer on concatenated inputs, without repeating the attributes every day.
        self.forcing_layer = nn.Linear(n_forcings, config.hidden)
        self.attribute_layer = nn.Linear(n_attributes, config.hidden, bias=False) if n_attributes else None
        self.lstm = nn.LSTM(config.hidden, config.hidden)
        self.output_dropout = Dropout(config.dropout if config.dropout_on == "outputs" else 0.0)
        self.head = HEADS[config.heads](config.hidden, PARAMETERS[config.head], streams)
        if config.forget_bias != "uniform":
            self._set_forget_bias(config.forget_bias)

    def _set_forget_bias(self, value: float) -> None:
        hidden = self.lstm.hidden_size
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[hidden : 2 * hidden].fill_(value)

    def features(
        self, x_BTF: torch.Tensor, c_BA: torch.Tensor, state: State | None
    ) -> tuple[torch.Tensor, State]:
        """Return the LSTM's output ``(B, T, H)`` and its final state."""
        if self.training and self.forcing_noise:
            x_BTF = x_BTF + self.forcing_noise * torch.randn_like(x_BTF[:, :1])
        # The fused LSTM expects time first; transposing the few forcing columns is cheaper than the hidden ones.
        z_TBH = self.forcing_layer(x_BTF.transpose(0, 1).contiguous())
        if self.attribute_layer is not None:
            if self.training and self.attribute_noise:
                c_BA = c_BA + self.attribute_noise * torch.randn_like(c_BA)
            z_TBH = z_TBH.add_(self.attribute_layer(c_BA))
        h_TBH, state = self._run_lstm(z_TBH.relu_(), state)
        return self.output_dropout(h_TBH).transpose(0, 1), state

    def output(self, h_BTH: torch.Tensor, stream: str) -> torch.Tensor:
        """Return the scaled output for one target ``(B, T, P)``."""
        y_TBP: torch.Tensor = self.head(h_BTH.transpose(0, 1), stream)
        return y_TBP.transpose(0, 1)

    def _run_lstm(self, z_TBH: torch.Tensor, state: State | None) -> tuple[torch.Tensor, State]:
        if not (self.training and self.weight_dropout):
            return self.lstm(z_TBH, state)
        if state is None:
            zeros = z_TBH.new_zeros(1, z_TBH.shape[1], self.lstm.hidden_size)
            state = (zeros, zeros)
        weight_ih, weight_hh, bias_ih, bias_hh = self.lstm.all_weights[0]
        drop = nn.functional.dropout
        weights = [
            drop(weight_ih, self.weight_dropout),
            drop(weight_hh, self.weight_dropout),
            bias_ih,
            bias_hh,
        ]
        # nn.LSTM accepts no other weights than its own; the fused function that it calls does.
        h_TBH, h, c = torch._VF.lstm(z_TBH, state, weights, True, 1, 0.0, True, False, False)
        return h_TBH, (h, c)
