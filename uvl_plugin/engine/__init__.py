"""Images through an encoder, at the speed of the machine: decode, batches, memory, devices."""
