"""Compiled loop that fits sums of exponential autocorrelations to the spectrum of series with gaps."""

from __future__ import annotations

import numpy as np

from gsm3core.metrics.kernel import compiled

# Days per mean. Periods of less than two of them enter as one number, the variance within them.
MEAN_DAYS = 5
# Every frequency up to the 16th, then in steps of 12 %; bands are 25 % wide.
_DENSE, _STEP, _BAND = 16, 1.12, 0.25
_YEAR = 365.25
# Fewest days and means for a fit.
_MIN_DAYS, _MIN_MEANS = 10, 4
# A smaller ratio of variance to squared mean is rounding.
_ROUNDING = 1e-20


@compiled
def _means(a_row, c_row, of_a, of_c, power, pairs, out):  # type: ignore[no-untyped-def]
    """Write the means of non-empty groups of ``of_a a + of_c c`` on paired days, about the mean of all days, to ``out``.

    Return the number of groups, of days, the sum of squares within groups, and the mean. ``power`` receives the
    coefficients of the autocorrelations at lags 0 to 4 in the mean square of a mean, ``pairs`` those in the sum of squares.
    """
    power[:] = 0.0
    pairs[:] = 0.0
    present = np.zeros(MEAN_DAYS)
    groups = 0
    days = 0.0
    within = 0.0
    total = 0.0
    full = 0
    shift = 0.0  # the first value, so that squares do not cancel
    for t in range(a_row.shape[0]):
        a = np.float64(a_row[t])
        c = np.float64(c_row[t])
        if (abs(a) < np.inf) & (abs(c) < np.inf):
            shift = of_a * a + of_c * c
            break
    for start in range(0, a_row.shape[0] - MEAN_DAYS + 1, MEAN_DAYS):
        n = 0.0
        part = 0.0
        square = 0.0
        for k in range(MEAN_DAYS):
            a = np.float64(a_row[start + k])
            c = np.float64(c_row[start + k])
            ok = (abs(a) < np.inf) & (abs(c) < np.inf)
            value = of_a * a + of_c * c - shift if ok else 0.0
            present[k] = 1.0 if ok else 0.0
            n += present[k]
            part += value
            square += value * value
        if n == 0.0:
            continue
        out[groups] = part / n
        groups += 1
        days += n
        total += part
        within += max(square - part * part / n, 0.0)
        if n == MEAN_DAYS:
            full += 1
            continue
        power[0] += 1.0 / n
        for lag in range(1, MEAN_DAYS):
            number = 0.0
            for k in range(lag, MEAN_DAYS):
                number += present[k] * present[k - lag]
            power[lag] += 2.0 * number / (n * n)
            pairs[lag] += 2.0 * number / n
    power[0] += full / MEAN_DAYS
    for lag in range(1, MEAN_DAYS):
        power[lag] += full * 2.0 * (MEAN_DAYS - lag) / MEAN_DAYS**2
        pairs[lag] += full * 2.0 * (MEAN_DAYS - lag) / MEAN_DAYS
    power /= max(groups, 1)
    centre = total / max(days, 1.0)
    for b in range(groups):
        out[b] -= centre
    return groups, days, within, shift + centre


@compiled
def _bands(means, groups, omega, weight, power):  # type: ignore[no-untyped-def]
    """Write frequency, number of ordinates and mean power of each band of the cosine spectrum; return their number."""
    frequencies = np.empty(groups)
    number = 0
    j = 1.0
    # The annual cycle is a line, which no smooth spectrum fits. Records of two years or more are fitted without it.
    annual = 2.0 * groups * MEAN_DAYS / _YEAR
    while j <= 0.9 * groups:
        if annual < 4.0 or abs(j - annual) > 1.01:
            frequencies[number] = np.pi * j / groups
            number += 1
        j = j + 1.0 if j < _DENSE else np.floor(j * _STEP) + 1.0
    # Cosines by Chebyshev's recurrence, for all frequencies at once.
    twice = 2.0 * np.cos(frequencies[:number])
    now = np.cos(frequencies[:number] * 0.5)
    before = now.copy()
    sums = np.zeros(number)
    for b in range(groups):
        value = means[b]
        for k in range(number):
            sums[k] += value * now[k]
            following = twice[k] * now[k] - before[k]
            before[k] = now[k]
            now[k] = following
    bands = 0
    k = 0
    while k < number:
        last = min(number, k + max(1, int(_BAND * (k + 1))))
        total = 0.0
        where = 0.0
        for i in range(k, last):
            total += sums[i] * sums[i] * 2.0 / groups
            where += frequencies[i]
        omega[bands] = where / (last - k)
        weight[bands] = last - k
        power[bands] = total / (last - k)
        bands += 1
        k = last
    return bands


@compiled
def fit_decays(x, y, part, decays, models, prior, out, first, last):  # type: ignore[no-untyped-def]
    """Posterior mean shares of variance per decay rate, number of fitted days, and days in non-empty groups.

    ``models`` are rows of two indices into ``decays`` and the share of the second; ``prior`` their log probabilities.
    """
    width = x.shape[1] // MEAN_DAYS
    rates = decays.shape[0]
    of_a = 0.0 if part == 2 else 1.0
    of_c = -1.0 if part == 0 else (1.0 if part == 2 else 0.0)
    means = np.empty(width)
    cosine = np.empty(width)
    coefficients = np.empty(MEAN_DAYS)
    pairs = np.empty(MEAN_DAYS)
    omega, weight, power = np.empty(width), np.empty(width), np.empty(width)
    spectrum = np.empty((rates, width))
    rest = np.empty(rates)
    chance = np.empty(models.shape[0])
    for i in range(first, last):
        a_row = x[i]
        c_row = y[i % y.shape[0]]
        groups, days, within, mean = _means(a_row, c_row, of_a, of_c, coefficients, pairs, means)
        out[i, rates] = days
        out[i, rates + 1] = groups * MEAN_DAYS
        square = within
        for b in range(groups):
            square += means[b] * means[b]
        if days < _MIN_DAYS or groups < _MIN_MEANS or square <= _ROUNDING * (mean * mean + 1e-12) * days:
            out[i, :rates] = np.nan
            continue
        bands = _bands(means, groups, omega, weight, power)
        for b in range(bands):
            cosine[b] = np.cos(omega[b])
        inside = days - groups
        for k in range(rates):
            # Spectrum of the means of an AR(1) process at the present days.
            rate = decays[k]
            own = coefficients[0]
            rest[k] = 1.0
            for lag in range(1, MEAN_DAYS):
                own += coefficients[lag] * rate**lag
                rest[k] -= pairs[lag] * rate**lag / max(inside, 1)
            block = rate**MEAN_DAYS
            gain = (1.0 - block) / ((1.0 - rate) * MEAN_DAYS)
            ahead = 2.0 * rate * gain * gain
            for b in range(bands):
                spectrum[k, b] = own + ahead * (cosine[b] - block) / (
                    1.0 - 2.0 * block * cosine[b] + block * block
                )
        # The variance within means weighs at most as much as the bands, because its days are autocorrelated.
        freedom = min(inside, 4.0 * bands)
        variance = within / max(inside, 1)
        best = -np.inf
        for g in range(models.shape[0]):
            one = int(models[g, 0])
            two = int(models[g, 1])
            share = models[g, 2]
            scaled = 0.0
            logs = 0.0
            ordinates = 0.0
            product = 1.0  # one logarithm for all bands of one ordinate
            for b in range(bands):
                expected = (1.0 - share) * spectrum[one, b] + share * spectrum[two, b]
                scaled += weight[b] * power[b] / expected
                ordinates += weight[b]
                if weight[b] == 1.0:
                    product *= expected
                else:
                    logs += weight[b] * np.log(expected)
            logs += np.log(product)
            if inside > 0:
                expected = (1.0 - share) * rest[one] + share * rest[two]
                scaled += freedom * variance / expected
                logs += freedom * np.log(expected)
                ordinates += freedom
            chance[g] = prior[g] - 0.5 * (logs + ordinates * np.log(scaled))
            best = max(best, chance[g])
        total = 0.0
        for g in range(models.shape[0]):
            chance[g] = np.exp(chance[g] - best)
            total += chance[g]
        out[i, :rates] = 0.0
        for g in range(models.shape[0]):
            out[i, int(models[g, 0])] += chance[g] / total * (1.0 - models[g, 2])
            out[i, int(models[g, 1])] += chance[g] / total * models[g, 2]
