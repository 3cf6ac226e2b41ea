def test_x(shadowed_home, blocked_home, trained_home):
    print(shadowed_home.stages)
