"""Factor analysis: importance, effects and strata of the site attributes that explain a score, and expected skill.

All results are associations, not causes (section 3.4 of the paper: "only a hypothesis rather than confirmed truth").
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
