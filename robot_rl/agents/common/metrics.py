"""What SAC reports of a block, in order."""

METRICS = (
    "critic_loss", "q_mean", "target_q", "td_error", "critic_grad_norm",
    "actor_loss", "entropy", "temperature", "action_saturation", "actor_grad_norm",
)  # fmt: skip
