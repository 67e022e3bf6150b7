//! conf-uwsgi
