"""One module per command of the `tfopt` program: flags and a `main(arguments)`."""
