"""Logging in through an identity provider: OpenID Connect, authorization code with PKCE. Tokens are checked, used once and not kept."""
