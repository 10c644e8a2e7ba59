"""What runs on the operator's machine: native packages are welcome here and nowhere else."""
