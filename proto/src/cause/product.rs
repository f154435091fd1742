//! Which product answered a request in the server's place: proxies, load balancers and hosts, known by what they say.

use std::fmt;

use crate::outcome::UpgradeRefusal;

/// A product that stands between clients and servers and answers in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// nginx, and what is made of it (OpenResty, Kong, ingress-nginx).
    Nginx,
    /// HAProxy, by its own error pages: it names itself nowhere.
    Haproxy,
    /// Caddy.
    Caddy,
    /// Envoy, and what is made of it (Istio, Contour, Emissary).
    Envoy,
    /// The Apache HTTP Server.
    Apache,
    /// Traefik, by its own error texts: it names itself nowhere, and other servers written in Go share one of them.
    Traefik,
    /// Amazon's Application Load Balancer.
    AwsLoadBalancer,
    /// Amazon API Gateway.
    ApiGateway,
    /// Amazon CloudFront.
    CloudFront,
    /// Google Cloud's load balancer, or the front end of Cloud Run and App Engine.
    GoogleLoadBalancer,
    /// Azure Application Gateway.
    AzureApplicationGateway,
    /// Azure Front Door.
    AzureFrontDoor,
    /// Cloudflare.
    Cloudflare,
    /// Heroku's router.
    Heroku,
    /// Internet Information Services, and the kernel driver in front of it.
    Iis,
}

/// What gives a product away, in lower case.
enum Sign {
    /// The `Server` header contains this.
    Server(&'static str),
    /// One of the kept headers begins with this: a name and a colon, or some of the value as well.
    Header(&'static str),
    /// The body contains this, and no `Server` header names anybody.
    Anonymous(&'static str),
    /// The body contains this.
    Body(&'static str),
}

/// The first product with a fitting sign is the one. Those that answer for others (a content network in front of a load
/// balancer) come first; those known by a text that others share come last.
const SIGNS: &[(Product, &[Sign])] = &[
    (Product::Cloudflare, &[Sign::Server("cloudflare"), Sign::Header("cf-mitigated:")]),
    (Product::CloudFront, &[Sign::Server("cloudfront")]),
    (
        Product::ApiGateway,
        &[
            Sign::Header("x-amzn-errortype:"),
            Sign::Header("x-amz-apigw-id:"),
            Sign::Header("apigw-requestid:"),
        ],
    ),
    (Product::AwsLoadBalancer, &[Sign::Server("awselb/")]),
    (Product::AzureApplicationGateway, &[Sign::Server("microsoft-azure-application-gateway")]),
    (Product::AzureFrontDoor, &[Sign::Header("x-azure-ref:")]),
    (Product::Heroku, &[Sign::Server("heroku"), Sign::Body("herokucdn.com/error-pages/")]),
    (
        Product::GoogleLoadBalancer,
        &[
            Sign::Server("google frontend"),
            Sign::Body("the server encountered a temporary error and could not complete your request"),
        ],
    ),
    (Product::Iis, &[Sign::Server("microsoft-iis/"), Sign::Server("microsoft-httpapi/")]),
    (Product::Nginx, &[Sign::Server("nginx"), Sign::Server("openresty"), Sign::Server("kong/")]),
    (Product::Caddy, &[Sign::Server("caddy"), Sign::Header("via: 1.1 caddy")]),
    (Product::Envoy, &[Sign::Server("envoy")]),
    (Product::Apache, &[Sign::Server("apache")]),
    (
        Product::Haproxy,
        &[
            Sign::Anonymous("no server is available to handle this request"),
            Sign::Anonymous("the server returned an invalid or incomplete response"),
            Sign::Anonymous("the server didn't respond in time"),
            Sign::Anonymous("request forbidden by administrative rules"),
            Sign::Anonymous("your browser sent an invalid request"),
        ],
    ),
    (
        Product::Envoy,
        &[
            Sign::Anonymous("upstream connect error or disconnect/reset before headers"),
            Sign::Anonymous("no healthy upstream"),
        ],
    ),
    (Product::GoogleLoadBalancer, &[Sign::Header("via: 1.1 google")]),
    (Product::Traefik, &[Sign::Anonymous("404 page not found"), Sign::Anonymous("no available server")]),
];

impl Product {
    /// Who answered, where it can be told.
    pub fn of(refusal: &UpgradeRefusal) -> Option<Self> {
        let fits = |signs: &[Sign]| signs.iter().any(|sign| sign.fits(refusal));
        SIGNS.iter().find(|(_, signs)| fits(signs)).map(|(product, _)| *product)
    }

    pub(super) fn answered(self, refusal: &UpgradeRefusal) -> bool {
        Self::of(refusal) == Some(self)
    }

    /// The name, for people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Caddy => "Caddy",
            Self::Envoy => "Envoy",
            Self::Apache => "Apache",
            Self::Traefik => "Traefik",
            Self::AwsLoadBalancer => "AWS Application Load Balancer",
            Self::ApiGateway => "AWS API Gateway",
            Self::CloudFront => "AWS CloudFront",
            Self::GoogleLoadBalancer => "Google Cloud load balancer",
            Self::AzureApplicationGateway => "Azure Application Gateway",
            Self::AzureFrontDoor => "Azure Front Door",
            Self::Cloudflare => "Cloudflare",
            Self::Heroku => "Heroku",
            Self::Iis => "IIS",
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Sign {
    fn fits(&self, refusal: &UpgradeRefusal) -> bool {
        let in_server =
            |words: &str| refusal.server.as_ref().is_some_and(|server| server.to_lowercase().contains(words));
        let in_body = |words: &str| refusal.body.to_lowercase().contains(words);
        match self {
            Self::Server(words) => in_server(words),
            Self::Header(beginning) => {
                refusal.headers.iter().any(|header| header.to_lowercase().starts_with(beginning))
            }
            Self::Anonymous(words) => refusal.server.is_none() && in_body(words),
            Self::Body(words) => in_body(words),
        }
    }
}
