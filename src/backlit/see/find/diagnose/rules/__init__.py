"""The rules of a diagnosis: each looks at the material and speaks only when it is sure.

They are grouped by what they are about. Where one can, it makes an experiment (changes one sample,
exchanges targets, takes a few steps, all of it undone) in place of comparing with a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ....records.value import number
from ...bad_numbers import bad_numbers
from ..finding import ERROR, FIT, FLOW, Finding
from ..material import Material
from . import (
    aims,
    batch,
    context,
    dataset,
    flow,
    layers,
    logits,
    loss,
    optimizer,
    parameters,
    rehearsal,
    samples,
    sequence,
    shapes,
    steps,
)

Rule = Callable[[Material], Iterator[Finding]]


def not_finite(m: Material) -> Iterator[Finding]:
    """NaN or infinity in the loss or in a gradient."""
    found = bad_numbers(m.record) if m.has_graph else None
    bad = (found.forward or found.backward) if found is not None else None
    if bad is not None:
        yield Finding(
            rule="not finite",
            severity=ERROR,
            text=f"the {bad.where} pass gives {number(bad.value)}: {bad.rule}",
            evidence=f"first in {bad.node.label}",
            line=bad.line,
            next=bad.rewrite or "see.bad_numbers(loss)",
            explains=(*FIT, *FLOW),
        )
    elif not math.isfinite(m.loss) and m.error is None:
        yield Finding(
            rule="not finite",
            severity=ERROR,
            text=f"the loss is {m.loss}",
            evidence="computed on this batch",
            next="see.bad_numbers(loss)",
            explains=(*FIT, *FLOW),
        )


#: What can be asked where model or loss raise, or give no finite number ...
FIRST: tuple[Rule, ...] = (
    batch.raises,
    batch.bad_data,
    batch.constant_inputs,
    batch.duplicates,
    loss.no_tensor,
    logits.no_log_probabilities,
    loss.targets,
    loss.ignored_labels,
    not_finite,
    optimizer.optimizer_parameters,
    optimizer.learning_rates,
    optimizer.clip_limit,
    optimizer.weight_decay,
    optimizer.optimizer_settings,
    optimizer.optimizer_state,
    optimizer.frozen_but_moving,
    optimizer.left_over_gradients,
    dataset.not_shuffled,
    dataset.validation_leaks,
    dataset.scaled_otherwise,
    dataset.targets_of_other_rows,
    dataset.tells_the_target,
)
#: ... what is asked of a step that can be taken ...
RULES: tuple[Rule, ...] = (
    parameters.unregistered,
    shapes.repeated,
    logits.constant_loss,
    loss.wrong_sign,
    aims.exchanged,
    aims.policy_gradients,
    aims.without_bound,
    aims.own_scores,
    aims.escapes,
    aims.collapses,
    aims.bootstrapped,
    parameters.no_gradient,
    parameters.drawn_without_path,
    parameters.frozen_at_random,
    parameters.target_trained,
    logits.applied_twice,
    loss.broadcast_in_loss,
    loss.targets_not_matched,
    loss.weights_of_zero,
    loss.weights_of_frequency,
    loss.blank_among_labels,
    logits.log_of_softmax,
    shapes.reshape_for_transpose,
    shapes.class_axis,
    shapes.masked_after_softmax,
    shapes.scores_scaled_up,
    shapes.scores_not_scaled,
    shapes.mask_inverted,
    shapes.one_sample,
    logits.bounded_logits,
    samples.mixes_samples,
    context.one_step_counts,
    context.backward_half,
    context.order_is_not_seen,
    sequence.what_is_seen,
    sequence.padding_counts,
    sequence.padding_learnt,
    layers.attention_axis,
    layers.hidden_state,
    layers.one_number,
    layers.dropout,
    layers.dropout_in_evaluation,
    layers.batch_norm,
    layers.evaluation_mode,
    parameters.symmetric,
    parameters.copied_ties,
    layers.no_nonlinearity,
    layers.missing_activation,
    flow.ignores_input,
    batch.unscaled_inputs,
    batch.unscaled_targets,
    flow.dead_units,
    flow.saturated_units,
    flow.gradient_scale,
    batch.initial_loss,
    batch.labels,
)
#: ... what is asked of a loss alone, whoever made it ...
OF_A_LOSS: tuple[Rule, ...] = (
    not_finite,
    optimizer.optimizer_parameters,
    optimizer.learning_rates,
    optimizer.weight_decay,
    optimizer.optimizer_settings,
    optimizer.optimizer_state,
    optimizer.frozen_but_moving,
    optimizer.left_over_gradients,
    shapes.repeated,
    aims.exchanged,
    aims.policy_gradients,
    aims.without_bound,
    aims.escapes,
    aims.collapses,
    aims.bootstrapped,
    parameters.no_gradient,
    parameters.target_trained,
    logits.applied_twice,
    logits.bounded_logits,
    loss.broadcast_in_loss,
    shapes.reshape_for_transpose,
    shapes.class_axis,
    shapes.masked_after_softmax,
    shapes.scores_scaled_up,
    rehearsal.learning_rate,
)
#: ... and what takes steps.
REHEARSING: tuple[Rule, ...] = (
    steps.training_step,
    steps.evaluating,
    rehearsal.learning_rate,
    rehearsal.overfits_one_batch,
)
