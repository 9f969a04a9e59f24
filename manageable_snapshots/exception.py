# SPDX-License-Identifier: Apache-2.0

"""What can go wrong, each with the HTTP status that a client sees.

Class names, codes and wordings that Cinder has too are Cinder's (release 29),
because both cross the wire: a remote error is recognised by its class name,
and the message is what users search for.
"""

from manageable_snapshots.i18n import _


class ManageableSnapshotsException(Exception):
    """Base: ``message`` is formatted with the keyword arguments.

    :param message: used as it is, in place of the class's template
    :param kwargs: what the class's template names
    """

    message = _('An unknown exception occurred.')
    #: HTTP status code
    code = 500
    #: headers that the answer carries besides
    headers: dict[str, str] = {}

    def __init__(self, message: str | None = None, **kwargs: object) -> None:
        self.msg = message if message is not None else self.message % kwargs
        super().__init__(self.msg)


class ConfigurationError(ManageableSnapshotsException):
    """An option is missing or wrong; the process cannot start.

    :param option: the option's name
    :param group: the section of the configuration file
    :param reason: a sentence
    """

    message = _('Option %(option)s in section [%(group)s]: %(reason)s')


class Invalid(ManageableSnapshotsException):
    message = _('Unacceptable parameters.')
    code = 400


class InvalidInput(Invalid):
    message = _('Invalid input received: %(reason)s')


class InvalidParameterValue(Invalid):
    message = '%(err)s'


class ValidationError(Invalid):
    message = '%(detail)s'


class MalformedRequestBody(Invalid):
    message = _('Malformed request body')


class InvalidVolume(Invalid):
    message = _('Invalid volume: %(reason)s')


class InvalidSnapshot(Invalid):
    message = _('Invalid snapshot: %(reason)s')


class ManageExistingInvalidReference(Invalid):
    """A reference that names nothing, or not what the request says it is.

    :param existing_ref: the reference
    :param reason: a sentence
    """

    message = _('Manage existing volume failed due to invalid backend '
                'reference %(existing_ref)s: %(reason)s')

    def __init__(self, message: str | None = None, *,
                 existing_ref: object = None, reason: str = '') -> None:
        super().__init__(message, existing_ref=existing_ref, reason=reason)
        self.reason = reason


class ManagedByAnother(ManageExistingInvalidReference):
    """A reference that another row manages.

    :ivar owner: the row's id, which not every caller may know
    """

    def __init__(self, *, existing_ref: object, owner: str) -> None:
        super().__init__(existing_ref=existing_ref, reason=_(
            'snapshot %s manages it already') % owner)
        self.owner = owner


class ManageExistingAlreadyManaged(Invalid):
    message = _('Unable to manage existing volume. Volume %(volume_ref)s '
                'already managed.')


class InvalidAPIVersionString(Invalid):
    message = _('API Version String %(version)s is of invalid format. Must '
                'be of format MajorNum.MinorNum.')


class DriverCannot(Invalid):
    """The backend's driver lacks what the request needs.

    :param driver: the driver's name
    :param what: what it cannot do, a verb phrase
    """

    message = _('The driver %(driver)s cannot %(what)s.')


class NotAuthorized(ManageableSnapshotsException):
    message = _('Not authorized.')
    code = 403


class PolicyNotAuthorized(NotAuthorized):
    message = _("Policy doesn't allow %(action)s to be performed.")


class NotFound(ManageableSnapshotsException):
    message = _('The resource could not be found.')
    code = 404


class VolumeNotFound(NotFound):
    message = _('Volume %(volume_id)s could not be found.')


class SnapshotNotFound(NotFound):
    message = _('Snapshot %(snapshot_id)s could not be found.')


class VolumeTypeNotFound(NotFound):
    message = _('Volume type %(volume_type_id)s could not be found.')


class ServiceNotFound(NotFound):
    """No volume service of that host or cluster.

    :param service_id: the binary, ``cinder-volume``
    :param host: the host, or None when a cluster was asked for
    """

    def __init__(self, message: str | None = None, *,
                 service_id: str = '', host: str | None = None) -> None:
        # One sentence each: what Cinder's lazy translation makes of _() cannot
        # be added to.
        template = (_('Service %(service_id)s could not be found on host '
                      '%(host)s.') if host else
                    _('Service %(service_id)s could not be found.'))
        super().__init__(message if message is not None else template % {
            'service_id': service_id, 'host': host})


class MethodNotAllowed(ManageableSnapshotsException):
    """The path is known, the method is not.

    :param allow: the methods that the path takes
    """

    message = _('The method %(method)s is not allowed for this resource.')
    code = 405

    def __init__(self, method: str, allow: list[str]) -> None:
        super().__init__(method=method)
        self.headers = {'Allow': ', '.join(allow)}


class InvalidGlobalAPIVersion(ManageableSnapshotsException):
    message = _('Version %(req_ver)s is not supported by the API. Minimum '
                'is %(min_ver)s and maximum is %(max_ver)s.')
    code = 406


class UnsupportedContentType(ManageableSnapshotsException):
    message = _('Unsupported Content-Type')
    code = 415


class QuotaError(ManageableSnapshotsException):
    message = _('Quota exceeded')
    code = 413
    headers = {'Retry-After': '0'}


class VolumeSizeExceedsAvailableQuota(QuotaError):
    """Sizes in GiB."""

    message = _('Requested volume or snapshot exceeds allowed %(name)s '
                'quota. Requested %(requested)sG, quota is %(quota)sG and '
                '%(consumed)sG has been consumed.')


class SnapshotLimitExceeded(QuotaError):
    message = _('Maximum number of snapshots allowed (%(allowed)d) exceeded')


class VolumeLimitExceeded(QuotaError):
    message = _("Maximum number of volumes allowed (%(allowed)d) exceeded "
                "for quota '%(name)s'.")


class ServiceUnavailable(ManageableSnapshotsException):
    """A part that the answer needs (service, broker, database) is away."""

    message = _('Service is unavailable at this time.')
    code = 503


class VolumeServiceUnavailable(ServiceUnavailable):
    """The volume service of a backend takes no request now.

    :param service: its host, or what the requester may know of it
    """

    message = _('The volume service %(service)s cannot be reached at this '
                'time.')

    def called(self, service: str) -> 'VolumeServiceUnavailable':
        """Return the same error with another name of the service."""
        return type(self)(service=service)


class VolumeServiceDown(VolumeServiceUnavailable):
    message = _('The volume service %(service)s is down.')


class VolumeServiceDisabled(VolumeServiceUnavailable):
    message = _('The volume service %(service)s is disabled.')


class VolumeServiceBusy(VolumeServiceUnavailable):
    """As many requests to one backend are under way as may be."""

    message = _('Too many requests to the volume service %(service)s are in '
                'progress. Try again.')
    headers = {'Retry-After': '1'}


class Busy(ServiceUnavailable):
    """As many requests are under way as may be."""

    message = _('Too many requests are being answered. Try again.')
    headers = {'Retry-After': '1'}


class DriverNotInitialized(ServiceUnavailable):
    message = _('Volume driver not ready.')


class BackendTimeout(ManageableSnapshotsException):
    """A backend did not answer in time.

    :param host: the backend, ``host@backend``
    :param seconds: how long it was waited for
    """

    message = _('The backend %(host)s did not answer within %(seconds)s '
                'seconds.')
    code = 504


def is_unexpected(error: BaseException) -> bool:
    """Return whether an error looks like a bug, so the log needs a traceback.

    Expected are this project's errors, those of libraries (a broker, a
    database or a backend fails in many ways) and the system's. A bug raises
    one of Python's own: TypeError, AttributeError, KeyError...
    """
    return (type(error).__module__ == 'builtins'
            and not isinstance(error, OSError))
