"""How the lab's cmdlets put their errors: in the host's language, with the code and id that are the same in all."""

from ecx_hyperv.host.wire import RemoteError
from ecx_hyperv.lab.windows.allowed import ALLOWED

_WORDS = {
    "en": {
        0: 'Hyper-V was unable to find a virtual machine with name "{about}".',
        5: "'{about}': General access denied error.",
        14: "'{about}' failed to start. Not enough memory in the system to start the virtual machine {about}.",
        21: "'{about}' failed to start. The device is not ready.",
        32: "'{about}': The process cannot access the file because it is being used by another process.",
        1753: "The cluster service is not running.  Make sure that the service is running on all nodes in the cluster.",
        5023: "The group or resource is not in the correct state to perform the requested operation.",
        5957: "The group is unable to accept the request since there are not enough resources on the destination.",
    },
    "ja": {
        0: 'Hyper-V は、名前 "{about}" の仮想マシンを見つけることができませんでした。',
        5: "'{about}': 一般的なアクセス拒否エラー。",
        14: "'{about}' を起動できませんでした。仮想マシン {about} を起動するためのメモリが不足しています。",
        21: "'{about}' を起動できませんでした。デバイスの準備ができていません。",
        32: "'{about}': プロセスはファイルにアクセスできません。別のプロセスが使用中です。",
        1753: "クラスター サービスが実行されていません。",
        5023: "グループまたはリソースは、要求された操作の実行に適切な状態ではありません。",
        5957: "移動先に十分なリソースがないため、グループは要求を受け入れることができません。",
    },
}
# What is told apart by its id: a VM's id that is not known, a state that forbids it, a host without a database.
_BY_ID = {
    "en": {
        "ObjectNotFound": 'Hyper-V was unable to find a virtual machine with id "{about}".',
        "ServiceAway": "Hyper-V encountered an error trying to access an object on computer '{about}'.",
        "InvalidState": "'{about}': the operation cannot be performed while the object is in its current state.",
    },
    "ja": {
        "ObjectNotFound": 'Hyper-V は、ID "{about}" の仮想マシンを見つけることができませんでした。',
        "ServiceAway": "コンピューター '{about}' のオブジェクトにアクセス中に、Hyper-V でエラーが発生しました。",
        "InvalidState": "'{about}': オブジェクトの現在の状態では、この操作を実行できません。",
    },
}
# What stands behind an error's id, a cmdlet's class or a function's name, and the kind of exception, by module.
_CLASSES = {
    "Hyper-V": ("Microsoft.HyperV.PowerShell.Commands.{name}", "VirtualizationException"),
    "FailoverClusters": ("Microsoft.FailoverClusters.PowerShell.{name}Command", "ClusterCmdletException"),
    "CimCmdlets": ("Microsoft.Management.Infrastructure.CimCmdlets.{name}Command", "CimException"),
    "Microsoft.PowerShell.Management": ("Microsoft.PowerShell.Commands.{name}Command", "ServiceCommandException"),
    "Microsoft.PowerShell.Security": ("Microsoft.PowerShell.Commands.{name}Command", "ServiceCommandException"),
}
_FUNCTION = ("{cmdlet}", "CimException")
# What PowerShell says of a key of the registry that is not there.
_NO_DATABASE = {
    "en": r"Cannot find path 'HKLM:\Cluster\Resources' because it does not exist.",
    "ja": r"パス 'HKLM:\Cluster\Resources' が存在しないため検出できません。",
}
_OTHERWISE = {"en": "The operation failed.", "ja": "操作に失敗しました。"}


class Failure(Exception):
    """A cmdlet that ends with an error; carries its Win32 code, and the cmdlet once that is known."""

    def __init__(self, code: int, about: str = "", *, identifier: str = "", category: str = "NotSpecified") -> None:
        super().__init__(about)
        self.code = code
        self.about = about
        self.identifier = identifier
        self.category = category
        self.cmdlet = ""


def no_database(language: str) -> str:
    """Return what is said where the cluster's database is not there."""
    return _NO_DATABASE[language]


def render(failure: Failure, cmdlet: str, language: str) -> RemoteError:
    """Return a failure as the agent reports it."""
    known = _BY_ID[language].get(failure.identifier) or _WORDS[language].get(failure.code, _OTHERWISE[language])
    words = known.format(about=failure.about)
    kind, exception = _CLASSES.get(ALLOWED.get(cmdlet, "CimCmdlets"), _FUNCTION)
    # A service that is away looks like a VM that is not there, but for the words.
    shown = "ObjectNotFound" if failure.identifier == "ServiceAway" else failure.identifier
    identifier = shown or ("OperationFailed" if ALLOWED.get(cmdlet) == "Hyper-V" else cmdlet)
    return RemoteError(
        message=f"{words} (0x8007{failure.code:04X})" if failure.code else words,
        id=f"{identifier},{kind.format(name=cmdlet.replace('-', ''), cmdlet=cmdlet)}",
        category=failure.category,
        exception=exception,
        code=failure.code or None,
    )
