"""How the lab's cmdlets put their errors: in the host's language, with the code and id that are the same in all."""

from ecx_hyperv.host.wire import RemoteError

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
        "NoClusterDatabase": "There is no cluster database on {about}.",
    },
    "ja": {
        "ObjectNotFound": 'Hyper-V は、ID "{about}" の仮想マシンを見つけることができませんでした。',
        "ServiceAway": "コンピューター '{about}' のオブジェクトにアクセス中に、Hyper-V でエラーが発生しました。",
        "InvalidState": "'{about}': オブジェクトの現在の状態では、この操作を実行できません。",
        "NoClusterDatabase": "{about} にはクラスター データベースがありません。",
    },
}
_OTHERWISE = {"en": "The operation failed.", "ja": "操作に失敗しました。"}


class Failure(Exception):
    """A cmdlet that ends with an error; carries its Win32 code."""

    def __init__(self, code: int, about: str = "", *, identifier: str = "", category: str = "NotSpecified") -> None:
        super().__init__(about)
        self.code = code
        self.about = about
        self.identifier = identifier
        self.category = category


def render(failure: Failure, cmdlet: str, language: str) -> RemoteError:
    """Return a failure as the agent reports it."""
    known = _BY_ID[language].get(failure.identifier) or _WORDS[language].get(failure.code, _OTHERWISE[language])
    words = known.format(about=failure.about)
    is_hyperv = cmdlet.endswith("-VM")
    family = "Microsoft.HyperV.PowerShell.Commands." if is_hyperv else "Microsoft.FailoverClusters.PowerShell."
    # A service that is away looks like a VM that is not there, but for the words.
    shown = "ObjectNotFound" if failure.identifier == "ServiceAway" else failure.identifier
    identifier = shown or ("OperationFailed" if is_hyperv else cmdlet)
    return RemoteError(
        message=f"{words} (0x8007{failure.code:04X})" if failure.code else words,
        id=f"{identifier},{family}{cmdlet.replace('-', '')}",
        category=failure.category,
        exception="VirtualizationException" if is_hyperv else "ClusterCmdletException",
        code=failure.code or None,
    )
