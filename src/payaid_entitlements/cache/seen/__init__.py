"""What tenants were seen to do: a bounded set in this process, told to the store in batches by somebody else."""
