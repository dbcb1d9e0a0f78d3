"""HTTP's part of authentication, without policy: cookies, forms, origins, proxies, signed values."""
