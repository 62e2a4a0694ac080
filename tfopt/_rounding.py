"""One rule for halves, shared by the simulation of int8 and by what feeds real int8 files."""

# In steps of a grid: what lies within this below a half counts as a half, and goes up. Inputs such as k/16 on a
# grid of 1/255 lie exactly on halves, which float32 noise would round here one way and there another.
HALF_WINDOW = 2.0**-14
