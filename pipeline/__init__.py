"""The loop and all that people touch: experiments, journal, report and command line."""
