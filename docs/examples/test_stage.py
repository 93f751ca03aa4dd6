from my_lab.stage import make

from robot_rl.testing.check_robot import check_robot


def test_the_stage_is_a_robot():
    check_robot(lambda: make().robot)
