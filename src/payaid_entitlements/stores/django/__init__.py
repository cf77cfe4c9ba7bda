"""
The store in a database of a Django project: ``django://default`` names it as ``DATABASES`` does.

It is the SQL store: reads and changes of its own are on connections of its own, made as the project's settings say.
What joins a transaction of the project, ``tx=connection``, is said on Django's own connection.

The only package of the stores that imports Django. Needs the extras ``django`` and ``sql``, for MariaDB also ``mysql``.
"""
