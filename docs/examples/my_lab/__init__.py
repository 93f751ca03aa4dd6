"""A package of one's own: a task, a robot, an algorithm, an environment."""
