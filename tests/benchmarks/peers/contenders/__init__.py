"""The contenders: a module each, with a table `METHODS` from the name of a method to a function of a `Work`.

What a function holds is what a user of that library writes: its lines are counted. It leaves `work.path`, a .tflite
file, and returns the trained model in its Keras (None where there is none), whose outputs the file should give.
"""
