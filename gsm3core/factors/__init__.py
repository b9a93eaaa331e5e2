"""Why a model fails where it fails: scores beside factors, their importance, effects, strata, and a-priori skill.

All of it is association, not cause: a factor that ranks high goes along with good or bad scores at the sites at hand
(the paper's section 3.4: "only a hypothesis rather than confirmed truth").
"""

from __future__ import annotations

from gsm3core.factors.applicability import Applicability, fit_applicability
from gsm3core.factors.effects import effect_surface, factor_effect
from gsm3core.factors.importance import MEASURES, SHAP, factor_importance, importance_of
from gsm3core.factors.models import Settings
from gsm3core.factors.score_tables import read_score_table
from gsm3core.factors.skill import SkillModel, fit_skill
from gsm3core.factors.strata import skill_strata
from gsm3core.factors.table import FactorTable, factor_table
from gsm3core.statistics.spatial_autocorrelation import MoransI, morans_i

__all__ = [
    "MEASURES",
    "SHAP",
    "Applicability",
    "FactorTable",
    "MoransI",
    "Settings",
    "SkillModel",
    "effect_surface",
    "factor_effect",
    "factor_importance",
    "factor_table",
    "fit_applicability",
    "fit_skill",
    "importance_of",
    "morans_i",
    "read_score_table",
    "skill_strata",
]
