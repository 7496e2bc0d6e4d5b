// A machine's certificate authority: mutual TLS that starts and ends with the machine.
//
// EC P-256 throughout. The authority's key never leaves this object; server and client keys leave
// it as Secret, once. Nothing is written to disk here.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/secret.h"
#include "base/status.h"

namespace depot::builderd {

struct Identity {
  std::string certificate;  // PEM
  base::Secret key;         // PEM, PKCS #8
};

class CertificateAuthority {
 public:
  // Valid from five minutes ago (clocks in containers and VMs lag) for `life`.
  static base::Result<std::unique_ptr<CertificateAuthority>> create(const std::string& name,
                                                                    std::chrono::seconds life);
  ~CertificateAuthority();

  const std::string& certificate() const { return pem_; }
  // For the server of this name alone.
  base::Result<Identity> issue_server(const std::string& dns_name, std::chrono::seconds life) const;
  // For a client; good for nothing else.
  base::Result<Identity> issue_client(const std::string& common_name,
                                      std::chrono::seconds life) const;

 private:
  struct Impl;
  explicit CertificateAuthority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::string pem_;
};

}  // namespace depot::builderd
