"""`GET /v1/environment`: the dashboard's settings as ClerkJS reads them. Email codes are the one way in."""

from clerk_sync.emulator.answers import Json
from clerk_sync.emulator.instance import Instance

ATTRIBUTES = (
    "authenticator_app",
    "backup_code",
    "email_address",
    "first_name",
    "last_name",
    "passkey",
    "password",
    "phone_number",
    "ticket",
    "username",
    "web3_wallet",
)
OPTIONAL = {"first_name", "last_name"}


def environment(instance: Instance) -> Json:
    return {
        "auth_config": auth_config(instance),
        "display_config": display_config(instance),
        "user_settings": user_settings(),
        "organization_settings": {
            "enabled": False,
            "max_allowed_memberships": 5,
            "actions": {"admin_delete": True},
            "domains": {"enabled": False, "enrollment_modes": [], "default_role": "org:member"},
            "creator_role": "org:admin",
        },
        "fraud_settings": {"native": {"device_attestation_mode": "disabled"}},
        "commerce_settings": {
            "billing": {
                "stripe_publishable_key": None,
                "free_trial_requires_payment_method": False,
                "user": {"enabled": False, "has_paid_plans": False},
                "organization": {"enabled": False, "has_paid_plans": False},
            }
        },
        "api_keys_settings": {"enabled": False, "user_api_keys_enabled": False, "orgs_api_keys_enabled": False},
        "protect_config": {"loaders": []},
        "client_debug_mode": False,
        "partitioned_cookies": False,
        "maintenance_mode": False,
    }


def auth_config(instance: Instance) -> Json:
    return {
        "object": "auth_config",
        "id": instance.id.replace("ins_", "aconf_"),
        "first_name": "on",
        "last_name": "on",
        "email_address": "required",
        "phone_number": "off",
        "username": "off",
        "password": "off",
        "identification_requirements": [["email_address"]],
        "identification_strategies": ["email_address"],
        "first_factors": ["email_code", "ticket"],
        "second_factors": [],
        "email_address_verification_strategies": ["email_code"],
        "single_session_mode": True,
        "enhanced_email_deliverability": False,
        "test_mode": not instance.is_live,
        "url_based_session_syncing": True,
        "claimed_at": None,
        "reverification": False,
        "native_settings": {
            "object": "native_settings",
            "api_enabled": False,
            "trusted_device_sign_in_enabled": False,
            "trusted_device_enrollment_prompt_after_sign_in_enabled": False,
            "trusted_device_enrollment_prompt_after_sign_up_enabled": False,
        },
    }


def display_config(instance: Instance) -> Json:
    home = instance.frontend_api_url
    site = next(iter(instance.allowed_origins), home)
    no_image = {"object": "image", "id": "img_none", "name": "", "public_url": ""}
    after = ("sign_in", "sign_up", "sign_out_one", "sign_out_all", "switch_session", "join_waitlist")
    after_organization = ("after_leave_organization_url", "after_create_organization_url")
    return {
        "object": "display_config",
        "id": instance.id.replace("ins_", "display_config_"),
        "instance_environment_type": "production" if instance.is_live else "development",
        "application_name": "ManagerOS",
        "theme": {},
        "preferred_sign_in_strategy": "otp",
        "home_url": site,
        "sign_in_url": f"{home}/sign-in",
        "sign_up_url": f"{home}/sign-up",
        "user_profile_url": home,
        "waitlist_url": home,
        "oauth_consent_url": home,
        **{f"after_{what}_url": site for what in after},
        **dict.fromkeys(after_organization, site),
        "organization_profile_url": site,
        "create_organization_url": site,
        "logo_link_url": site,
        "support_email": None,
        "branded": False,
        "experimental_force_oauth_first": False,
        "clerk_js_version": None,
        "show_devmode_warning": False,
        "google_one_tap_client_id": None,
        "help_url": None,
        "privacy_policy_url": None,
        "terms_url": None,
        "logo_url": None,
        "favicon_url": None,
        "logo_image": no_image,
        "favicon_image": no_image,
        "captcha_public_key": None,
        "captcha_widget_type": None,
        "captcha_public_key_invisible": None,
        "captcha_provider": None,
        "captcha_oauth_bypass": [],
    }


def user_settings() -> Json:
    return {
        "attributes": {name: attribute(name) for name in ATTRIBUTES},
        "social": {},
        "saml": {"enabled": False},
        "enterprise_sso": {"enabled": False},
        "sign_in": {"second_factor": {"required": False}},
        "sign_up": {
            "captcha_enabled": False,
            "captcha_widget_type": "smart",
            "custom_action_required": False,
            "progressive": True,
            "mode": "public",
            "legal_consent_enabled": False,
        },
        "restrictions": {
            name: {"enabled": False}
            for name in (
                "allowlist",
                "blocklist",
                "allowlist_blocklist_disabled_on_sign_in",
                "block_email_subaddresses",
                "block_disposable_email_domains",
            )
        },
        "password_settings": {
            "disable_hibp": True,
            "disable_password_reverification": True,
            "min_length": 8,
            "max_length": 72,
            "require_special_char": False,
            "require_numbers": False,
            "require_uppercase": False,
            "require_lowercase": False,
            "show_zxcvbn": False,
            "min_zxcvbn_strength": 0,
            "enforce_hibp_on_sign_in": False,
            "allowed_special_characters": "",
        },
        "username_settings": {
            "min_length": None,
            "max_length": None,
            "allow_extended_special_characters": False,
            "allow_numeric_usernames": False,
        },
        "actions": {"delete_self": False, "create_organization": False, "create_organizations_limit": None},
        "attack_protection": {
            "user_lockout": {"enabled": False, "max_attempts": 100, "duration_in_minutes": 60},
            "pii": {"enabled": False},
            "email_link": {"require_same_client": False},
            "enumeration_protection": {"enabled": False},
        },
        "passkey_settings": {
            "allow_autofill": False,
            "show_sign_in_button": False,
            "satisfies_second_factor": False,
        },
    }


def attribute(name: str) -> Json:
    is_email = name == "email_address"
    codes = ["email_code"] if is_email else []
    return {
        "enabled": is_email or name in OPTIONAL,
        "required": is_email,
        "used_for_first_factor": is_email,
        "first_factors": codes,
        "used_for_second_factor": False,
        "second_factors": [],
        "verifications": codes,
        "verify_at_sign_up": is_email,
        "immutable": False,
    }
