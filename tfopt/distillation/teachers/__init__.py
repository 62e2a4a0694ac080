"""Teachers: models, caches of their answers on disk, and a student's own past."""

from tfopt.distillation.teachers._cache_teacher import cache_teacher
from tfopt.distillation.teachers._self_teachers import EMATeacher, SelfDistillation
from tfopt.distillation.teachers._teacher_cache import TeacherCache

__all__ = [
    "EMATeacher",
    "SelfDistillation",
    "TeacherCache",
    "cache_teacher",
]
