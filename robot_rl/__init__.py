"""Reinforcement learning on real and simulated robots; importing it registers its environments."""

from robot_rl.registration import register_envs

register_envs()
