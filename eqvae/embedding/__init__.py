"""One table of what each image shows and how: content, pose, cluster; and the averages of clusters."""
