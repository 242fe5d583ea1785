"""Timings: what the library reaches, beside what people use now. `python -m benchmarks --help`."""
