

# Before anything else: what it does to warnings.
import manageable_snapshots.cmd  # noqa: F401
