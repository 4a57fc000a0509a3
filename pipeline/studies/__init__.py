"""Many runs: methods x settings x seeds, planned and swept."""
