"""The network: affinity, transformer, pixel decoder, mask head, and CMA, which assembles them."""
