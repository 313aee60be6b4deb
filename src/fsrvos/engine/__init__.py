"""Training and evaluation: matcher, criterion, optimizers, metrics, Lightning module, callbacks."""
