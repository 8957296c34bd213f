"""All that can be changed in the store: only inside a transaction of the writer's thread."""

from __future__ import annotations

from rund.store.setting_aside import SettingAside


class Transaction(SettingAside):
    """Reads and changes of one transaction; all of it is committed, or none."""
