# What a server behind a proxy says; the proxy's examples here serve it below /jupyter/.
c = get_config()  # noqa: F821 - traitlets gives it to configuration files
c.ServerApp.base_url = "/jupyter/"
c.ServerApp.trust_xheaders = True
c.ServerApp.allow_remote_access = True
c.ServerApp.open_browser = False
