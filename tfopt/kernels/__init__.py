"""What integer kernels do to their codes, one family of kernels to a folder or module."""
