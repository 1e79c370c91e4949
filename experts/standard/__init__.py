"""The experts of the `standard` profile: large models from a hub or a local folder, on a GPU.

Each is an ordinary expert of the registry: one file, a role (or two) of the profile. They share four things.

- **Where they run** (`_place`): on the GPU in bfloat16; on a CPU, in float32, only where `RUSHES_EXPERT_DEVICE=cpu`
  says so. A machine without a GPU is told before any work starts.
- **How they are loaded** (`_load`): from local files alone, safetensors, with every weight accounted for. A folder that
  does not hold the model is one error that names the role and the folder.
- **How they are fed** (`_batches`): pictures of all clips in batches of a size that the expert's docstring states.
- **What they may do**: nothing random. The same clip gives the same row on the same device; a batch of many agrees
  with a batch of one to rounding.
"""
