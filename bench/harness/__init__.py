"""The modules of bench/run and bench/soak. They use only Python's standard library."""
