"""What a run can be told: typed settings, composed from `configs/`."""
