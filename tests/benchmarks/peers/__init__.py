"""tfopt and its peers on the same work: `python -m tests.benchmarks.peers --quick`.

tasks           the work: networks trained once in float, with their data
work            what a contender is given: the float network in its own Keras, data, one way to train
contenders      one module each, with its methods: what a user of that library would write
run             runs one method in the environment of its contender
environments    makes these environments, and says what is in them
networks_torch  two of the networks in PyTorch
measure         accuracy, bytes, latency and fidelity of a file, whoever made it
tables          who is ahead of whom
cases           networks that are not trained
coverage        how many of these go through
"""
