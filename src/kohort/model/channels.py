"""The events of each channel under one name, whatever a system calls them.

The names are those of the tracking specification where it has one, so that an e-mail that a mailing system reports as
`open` and one that a client sends as `Email Opened` are the same event to every rule.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

Channel = Literal["web", "app", "email", "crm", "support", "social", "shop"]
"""Where something happened. Transactions need no name of a channel: they are sources of orders."""

CHANNELS: tuple[Channel, ...] = get_args(Channel)

EVENTS: dict[Channel, dict[str, str]] = {
    "web": {
        "page": "pageview viewedpage pageviewed pagevisit visit",
        "Products Searched": "search searched sitesearch productsearched searchperformed",
        "Product List Viewed": "categoryviewed listviewed viewitemlist",
        "Product Viewed": "viewitem viewedproduct viewcontent productview productdetailviewed",
        "Product Added": "addtocart addedtocart addedproduct cartadd addtobasket",
        "Product Removed": "removefromcart removedfromcart removedproduct cartremove",
        "Product Added to Wishlist": "addtowishlist wishlistadd",
        "Cart Viewed": "viewcart basketviewed",
        "Checkout Started": "begincheckout initiatecheckout startedcheckout checkout",
        "Signed Up": "signup registered register completeregistration accountcreated",
        "Signed In": "login loggedin signin",
        "Form Submitted": "formsubmit submitform lead generatelead",
    },
    "app": {
        "screen": "screenview viewedscreen screenviewed",
        "Application Installed": "firstopen appinstall appinstalled install",
        "Application Opened": "appopen appopened sessionstart open",
        "Application Uninstalled": "appremove appremoved uninstall",
        "Feature Used": "featureuse usedfeature",
        "Push Notification Received": "notificationreceive pushreceived pushdelivered",
        "Push Notification Tapped": "notificationopen pushopened pushopen pushclicked",
    },
    "email": {
        "Email Sent": "send sent processed mailsent",
        "Email Delivered": "delivery delivered maildelivered",
        "Email Opened": "open opened opens mailopened uniqueopen",
        "Email Link Clicked": "click clicked clicks linkclicked emailclicked mailclicked uniqueclick",
        "Email Bounced": "bounce bounced hardbounce softbounce permanentfail failed dropped rejected",
        "Email Marked as Spam": "complaint complained spam spamreport spamcomplaint abuse",
        "Unsubscribed": "unsubscribe unsub optout unsubscribes groupunsubscribe emailunsubscribed",
    },
    "crm": {
        "Lead Created": "newlead leadadded contactcreated",
        "Meeting Held": "meeting meetingcompleted appointment demo",
        "Quote Sent": "quote proposal proposalsent offer offersent quotation",
        "Deal Opened": "dealcreated opportunitycreated opportunityopened newdeal",
        "Deal Won": "won closedwon opportunitywon",
        "Deal Lost": "lost closedlost opportunitylost",
        "Contract Signed": "contract contractstarted signed",
        "Contract Renewed": "renewal renewed contractrenewal",
        "Contract Cancelled": "cancellation cancelled canceled contractcancellation churned",
    },
    "support": {
        "Ticket Opened": "ticket ticketcreated newticket caseopened casecreated supportticket created opened",
        "Ticket Replied": "ticketreply reply replied comment ticketupdated",
        "Ticket Solved": "ticketclosed caseclosed solved closed resolved ticketresolved",
        "Ticket Reopened": "reopened casereopened",
        "Call Received": "call inboundcall incomingcall inbound callanswered",
        "Call Made": "outboundcall outgoingcall outbound callback",
        "Call Missed": "missedcall missed abandonedcall noanswer",
        "Chat Started": "chat livechat chatopened conversationstarted",
        "Satisfaction Rated": "csat rating rated satisfaction surveyanswered nps",
    },
    "social": {
        "Brand Mentioned": "mention mentioned tagged",
        "Post Commented": "comment commented reply replied",
        "Post Liked": "like liked reaction reacted favourite favorite",
        "Post Shared": "share shared retweet repost reposted",
        "Message Received": "message directmessage dm messagereceived",
        "Review Written": "review reviewed reviewposted",
        "Account Followed": "follow followed newfollower",
        "Account Unfollowed": "unfollow unfollowed",
    },
    "shop": {
        "Shop Visited": "visit visited storevisit storevisited checkin footfall",
        "Loyalty Card Shown": "loyaltyscan cardscanned loyaltycard cardswipe",
        "Appointment Booked": "appointment appointmentmade booking",
        "Product Collected": "pickup collected clickandcollect collection",
        "Product Brought Back": "instorereturn returned return",
    },
}
"""Channel → name of the event → what else systems call it, without case, blanks and punctuation."""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


_KNOWN = {
    channel: {word: name for name, others in events.items() for word in (_plain(name), *others.split())}
    for channel, events in EVENTS.items()
}


def canonical(channel: Channel, name: str) -> str | None:
    """The one name of an event of a channel; None where we know none, and its own is kept.

    Example:
        >>> canonical("email", "open"), canonical("support", "Inbound call"), canonical("crm", "tea")
        ('Email Opened', 'Call Received', None)
    """
    return _KNOWN[channel].get(_plain(name))
