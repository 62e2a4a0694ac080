"""Teachers: models, caches of their outputs on disk, and a student that teaches itself."""

from tfopt.distillation.teachers._cache_teacher import cache_teacher
from tfopt.distillation.teachers._self_teachers import EMATeacher, SelfDistillation
from tfopt.distillation.teachers._teacher_cache import TeacherCache

__all__ = [
    "EMATeacher",
    "SelfDistillation",
    "TeacherCache",
    "cache_teacher",
]
