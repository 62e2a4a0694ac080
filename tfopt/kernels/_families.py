"""The families of kernels, by name."""

from tfopt.kernels._family import Family
from tfopt.kernels.reference import REFERENCE
from tfopt.kernels.xnnpack import XNNPACK

FAMILIES: dict[str, Family] = {family.name: family for family in (XNNPACK, REFERENCE)}
