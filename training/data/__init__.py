"""From shard rows to batches: held-out split, plan, frames, latents and their cache. Import the submodules."""
