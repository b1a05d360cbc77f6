"""The browser that the page's tests share."""

from page_browser import browser, default_html, visit

__all__ = ["browser", "default_html", "visit"]
