"""Building blocks of the network: position, deformable attention, vision-language blocks."""
