"""Tables of rows with named columns, from files and other libraries, and as numbers for a network.

`table` is a Table or a stream of them; `sources` is where columns come from, `delimited` how CSV
files are split, `plain` those without quotation marks; `columns` of what kind the values are;
`encoding` makes numbers of rows.
"""

from .encoding import TableEncoding
from .table import Table, TableStream

__all__ = ["Table", "TableEncoding", "TableStream"]
