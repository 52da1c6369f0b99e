"""Checks for algorithms, gradient rules, networks, data sets and query strategies, and tiny synthetic stores."""
