"""Hydra chooses and merges the files of a configuration once for each set of choices, not for each test.

Values are put into a copy, by Hydra itself and in every test: only reading is saved. Folders other than the
repository's are read anew, as tests write into them.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hydra._internal import config_loader_impl as loader

from eqvae.config import CONFIG_DIR

OWN = {
    ("hydra", "hydra.conf"),
    ("main", str(CONFIG_DIR)),
    ("schema", ""),
}  # sources: provider, path
choose, merge = (
    loader.create_defaults_list,
    loader.ConfigLoaderImpl._compose_config_from_defaults_list,
)


@contextmanager
def remembered() -> Iterator[None]:
    """Meanwhile what Hydra has found in the repository's files is kept."""
    lists, merged = {}, {}

    def chosen(repo: Any, config_name: str, overrides_list: Sequence[Any], **how: bool) -> Any:
        groups = [o for o in overrides_list if repo.group_exists(o.key_or_group)]
        values = [o for o in overrides_list if o not in groups]
        key = (config_name, *(o.input_line for o in groups), *how.items())
        if key not in lists or not _is_own(repo):
            lists[key] = choose(repo, config_name, groups, **how)
        return replace(lists[key], config_overrides=[*lists[key].config_overrides, *values])

    def composed(self: Any, defaults: Sequence[Any], repo: Any) -> Any:
        key = tuple(map(repr, defaults))
        if key not in merged or not _is_own(repo):
            merged[key] = merge(self, defaults, repo)
        return copy.deepcopy(merged[key])

    with _patched(chosen, composed):
        yield


@contextmanager
def forgotten() -> Iterator[None]:
    """Meanwhile everything is read anew."""
    with _patched(choose, merge):
        yield


@contextmanager
def _patched(choosing: Callable, merging: Callable) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "create_defaults_list", choosing)
        patch.setattr(loader.ConfigLoaderImpl, "_compose_config_from_defaults_list", merging)
        yield


def _is_own(repo: Any) -> bool:
    """Whether nothing is read but the repository's files and Hydra's."""
    return {(source.provider, source.path) for source in repo.get_sources()} <= OWN
