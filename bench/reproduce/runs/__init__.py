"""The runs, one module a kind of data, in the order of the table."""

from __future__ import annotations

from . import digits28, entities, language, photographs, scenes, small

RECIPES = {
    recipe.name: recipe
    for module in (small, digits28, language, entities, photographs, scenes)
    for recipe in module.RECIPES
}
