"""The command ``charrnn new-plugin``, as a plugin: a project to edit, with its tests."""
