"""The one exception that means "the user can mend this": command lines print it as one line and exit with 2."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input. The message is one line: what is wrong, in which file, what would be right.

    Attributes:
        fault: The same as a `fsrvos.data.faults.Fault`, where a data set is what is wrong.
    """

    fault: object = None
