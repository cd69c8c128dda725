"""Whether servers on the internet answer, asked all at once and not for long."""

import threading
import urllib.error
import urllib.request


def silence(addresses: list[str], seconds: float) -> dict[str, str]:
    """Why each of ``addresses`` does not answer; an empty text where it does.

    Any answer counts, also one that refuses. Takes little more than ``seconds``.
    """
    reasons: dict[str, str] = {}
    threads = [
        threading.Thread(target=_ask, args=(address, seconds, reasons), daemon=True)
        for address in addresses
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)  # a name server may take longer than a connection may
    return {
        address: reasons.get(address, f"no answer in {seconds} seconds") for address in addresses
    }


def _ask(address: str, seconds: float, reasons: dict[str, str]) -> None:
    request = urllib.request.Request(address, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=seconds):
            reasons[address] = ""
    except urllib.error.HTTPError as error:
        error.close()
        reasons[address] = ""
    except OSError as error:
        reasons[address] = str(getattr(error, "reason", None) or error)
