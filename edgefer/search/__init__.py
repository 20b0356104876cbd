"""Search a recipe's settings: trials, their INT8 networks, the Pareto front. Any number of workers can join."""
